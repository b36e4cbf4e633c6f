// Where the keyboard and the eye go in what Streamlit draws beside the map.

const WORDS = ".st-key-mars-words input";

/** Begin to type another query: what stands in the box is replaced. */
export function typeWords() {
  document.querySelector(WORDS)?.select();
}

/** Leave the box of words once they are sent, so that the next key is one of the page's. */
export function leaveWords(event) {
  if (event.key === "Enter" && !event.isComposing && event.target.matches?.(WORDS))
    // Streamlit has to take the words first.
    setTimeout(() => event.target.blur());
}

/** Show a tab from its beginning: the drawer scrolls as a whole and stays where the last one was. */
export function showFromTop(event) {
  const drawer = document.querySelector(".st-key-mars-drawer");
  if (drawer && event.target.closest?.(".st-key-mars-tabs")) drawer.scrollTop = 0;
}
