// Opens skrub's report of a table when it is asked for: until then it is only compressed text.
for (const details of document.querySelectorAll("details[data-packed]")) {
  details.addEventListener("toggle", async () => {
    const frame = details.querySelector("iframe");
    if (!details.open || frame.srcdoc) return;
    const packed = document.getElementById(details.dataset.packed).textContent.trim();
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    frame.srcdoc = await new Response(stream).text();
  });
}
