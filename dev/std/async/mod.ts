/** A stand-in for `@std/async`: `delay` and `deadline`. */

export { deadline, type DeadlineOptions } from "./deadline.ts";
export { delay, type DelayOptions } from "./delay.ts";
