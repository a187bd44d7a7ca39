// On a phone the panels are sheets at the foot of the page that a thumb pulls up and down.

import { clamp } from "./geo.js";

const PHONE = matchMedia("(max-width: 700px)");

export const onPhone = () => PHONE.matches;

/** Makes a sheet of an element; `stops` gives its heights in pixels, the lowest first. */
export function makeSheet(element, handle, stops, changed) {
  let stop = 0;
  let drag = null;
  let pulled = false;

  const heights = () => stops().map((height) => clamp(height, 60, innerHeight - 56));

  function show(height, animate) {
    element.classList.toggle("pulling", !animate);
    element.style.setProperty("--sheet", `${Math.round(height)}px`);
    changed();
  }

  function settle(index) {
    const all = heights();
    stop = clamp(index, 0, all.length - 1);
    handle.setAttribute("aria-expanded", String(stop > 0));
    show(all[stop], true);
  }

  handle.addEventListener("pointerdown", (event) => {
    pulled = false;
    if (!onPhone()) return;
    handle.setPointerCapture(event.pointerId);
    drag = { y: event.clientY, height: heights()[stop], moved: 0 };
  });
  handle.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const by = drag.y - event.clientY;
    drag.moved = Math.max(drag.moved, Math.abs(by));
    if (drag.moved > 4) show(clamp(drag.height + by, 60, innerHeight - 56), false);
  });
  const end = (event) => {
    if (!drag) return;
    const height = drag.height + drag.y - event.clientY;
    const { moved } = drag;
    drag = null;
    if (moved <= 4) return;
    pulled = true;
    const all = heights();
    let best = 0;
    for (let i = 1; i < all.length; i += 1)
      if (Math.abs(all[i] - height) < Math.abs(all[best] - height)) best = i;
    settle(best);
  };
  handle.addEventListener("pointerup", end);
  handle.addEventListener("pointercancel", end);
  handle.addEventListener("click", () => {
    // The click that ends a pull is none.
    if (!pulled) settle(stop + 1 < heights().length ? stop + 1 : 0);
    pulled = false;
  });

  const again = () => settle(stop);
  addEventListener("resize", again);
  PHONE.addEventListener("change", again);
  again();

  return {
    settle,
    /** How much of the page's foot it covers. */
    covers: () => (onPhone() && !element.hidden ? heights()[stop] : 0),
  };
}
