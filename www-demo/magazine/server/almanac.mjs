// A page for each day: sun and moon by the usual approximations, good to some minutes. Computed, so that a thousand pages cost
// their site nothing to keep.

const RAD = Math.PI / 180;
const DAY = 86_400_000;
/** A new moon: 6 January 2000, 18:14 UTC. */
const NEW_MOON = Date.UTC(2000, 0, 6, 18, 14);
const MONTH = 29.530588853;
export const DAYS = 365;

const PHASES = ["new moon", "young crescent", "first quarter", "waxing", "full moon", "waning", "last quarter", "old crescent"];

const clock = (hours) => {
  const minutes = Math.round((((hours % 24) + 24) % 24) * 60) % 1_440;
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
};

/** Of a day from 1 to 365 in a year: times are local mean time. */
export function almanacDay(day, year, latitude) {
  const date = new Date(Date.UTC(year, 0, day));
  const declination = -Math.asin(0.39779 * Math.cos(RAD * (0.98565 * (day + 10) + 1.914 * Math.sin(RAD * 0.98565 * (day - 2)))));
  const angle = RAD * (0.98565 * (day - 81));
  const equation = 9.87 * Math.sin(2 * angle) - 7.53 * Math.cos(angle) - 1.5 * Math.sin(angle);
  // The upper edge of the sun is seen a little below the horizon, by refraction.
  const cosine = (Math.sin(RAD * -0.833) - Math.sin(RAD * latitude) * Math.sin(declination)) / (Math.cos(RAD * latitude) * Math.cos(declination));
  const half = cosine >= 1 ? 0 : cosine <= -1 ? 12 : Math.acos(cosine) / RAD / 15;
  const noon = 12 - equation / 60;
  const age = ((((date.getTime() + DAY / 2 - NEW_MOON) / DAY) % MONTH) + MONTH) % MONTH;
  return {
    day,
    date: date.toISOString().slice(0, 10),
    sunrise: clock(noon - half),
    noon: clock(noon),
    sunset: clock(noon + half),
    minutes: Math.round(half * 120),
    height: Math.round((90 - latitude + declination / RAD) * 10) / 10,
    moon: { age: Math.round(age * 10) / 10, lit: Math.round(((1 - Math.cos((2 * Math.PI * age) / MONTH)) / 2) * 100), phase: PHASES[Math.round((age / MONTH) * 8) % 8] },
  };
}
