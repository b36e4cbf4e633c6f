// Streamlit gives this text to the browser as a module without an address, from which nothing can
// be imported by a relative path; so it fetches the real module from our own route.
const address = new URL("mars/component/__MODULE__", document.baseURI).href;

export default async function (component) {
  const { render } = await import(address);
  return render(component);
}
