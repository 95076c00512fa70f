// Fills the form with a demo user's name and password.
const form = document.querySelector("form");

for (const button of document.querySelectorAll("button[data-name]")) {
  button.addEventListener("click", () => {
    form.elements.name.value = button.dataset.name;
    form.elements.password.value = button.dataset.password;
    form.querySelector("button").focus();
  });
}
