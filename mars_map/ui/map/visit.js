// Remembers under which name the server keeps this visit, for as long as the tab of the browser
// lives, so that a reload loses nothing.

const told = new WeakSet();

/** data: `{index, name, settled}`. Until it is settled, the name of before a reload is told once. */
export function render({ data, parentElement, setTriggerValue }) {
  const key = `mars_map.visit.${data.index}`;
  const before = stored(key);
  if (before === null || data.settled) store(key, data.name);
  else if (before !== data.name && !told.has(parentElement)) {
    told.add(parentElement);
    setTriggerValue("before", before);
  }
}

/** A browser may forbid to store; then a reload brings back what the address holds. */
function stored(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key, name) {
  try {
    sessionStorage.setItem(key, name);
  } catch {
    // As above.
  }
}
