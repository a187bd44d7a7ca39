// The earth on a plane, and numbers in words. Nothing here touches the page.

const EARTH_M = 40075016.686;
const MAX_LATITUDE = 85.0511;

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Latitude and longitude to Web Mercator on the unit square, north up. */
export function project(latitude, longitude) {
  const sin = Math.sin((clamp(latitude, -MAX_LATITUDE, MAX_LATITUDE) * Math.PI) / 180);
  return [longitude / 360 + 0.5, 0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI)];
}

/** The way back. */
export function unproject(x, y) {
  return [(Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI, (x - 0.5) * 360];
}

/** How many metres one unit of the plane is at this height of it. */
export const metresPerUnit = (y) => EARTH_M / Math.cosh(Math.PI * (1 - 2 * y));

/** Metres between two near points of the plane. */
export const distance = (x1, y1, x2, y2) =>
  Math.hypot(x2 - x1, y2 - y1) * metresPerUnit((y1 + y2) / 2);

/** The shorter way round from one course to another, in degrees from -180 to 180. */
export const turn = (from, to) => ((((to - from) % 360) + 540) % 360) - 180;

const STEPS = [
  90, 45, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002,
];

/** The distance of grid lines in degrees, so that they stand at least `min` pixels apart. */
export function gridStep(pixelsPerDegree, min) {
  let best = STEPS[0];
  for (const step of STEPS) {
    if (step * pixelsPerDegree < min) break;
    best = step;
  }
  return best;
}

/** The longest round length of at most `metres`. */
export function roundLength(metres) {
  const power = 10 ** Math.floor(Math.log10(metres));
  for (const factor of [5, 2]) if (factor * power <= metres) return factor * power;
  return power;
}

export const metresText = (metres) => (metres >= 1000 ? `${metres / 1000} km` : `${metres} m`);

/** `47.3625° N`, with as many digits as `step` needs. */
export function degreesText(value, step, positive, negative) {
  const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  return `${Math.abs(value).toFixed(digits)}° ${value < 0 ? negative : positive}`;
}

export const positionText = (latitude, longitude) =>
  `${degreesText(latitude, 1e-5, "N", "S")}, ${degreesText(longitude, 1e-5, "E", "W")}`;

const WINDS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];
export const wind = (degrees) => WINDS[Math.round((((degrees % 360) + 360) % 360) / 45) % 8];

/** How long ago, for people. */
export function ageText(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 3) return "now";
  if (s < 90) return `${s} s ago`;
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  if (s < 129600) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86400)} days ago`;
}
