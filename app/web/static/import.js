// Puts a file's text into the form.
const file = document.getElementById("file");
const text = document.getElementById("text");

file.addEventListener("change", async () => {
  const chosen = file.files[0];
  if (chosen && chosen.size <= 1024 * 1024) text.value = await chosen.text();
});
