/** Back-off as pure data: how long to wait before attempt n. */

/** How the waits grow. */
export interface BackoffOptions {
  /**
   * The first wait in milliseconds.
   *
   * @default {1000}
   */
  readonly initial?: number;
  /**
   * The longest wait in milliseconds.
   *
   * @default {600_000}
   */
  readonly max?: number;
  /**
   * What each wait is multiplied by, from 1.
   *
   * @default {2}
   */
  readonly factor?: number;
}

/**
 * The waits of an exponential back-off, without jitter.
 *
 * @param attempt Which wait, from 0.
 * @param options Start, limit and growth.
 * @returns Milliseconds, never more than the limit.
 * @throws {RangeError} When a number is negative, the factor below 1, or any of them is not a number.
 */
export function backoffDelay(attempt: number, options: BackoffOptions = {}): number {
  const { initial = 1000, max = 600_000, factor = 2 } = options;
  if (!(attempt >= 0 && initial >= 0 && max >= 0 && factor >= 1)) {
    const given = `attempt ${attempt}, initial ${initial}, max ${max}, factor ${factor}`;
    throw new RangeError(
      `Cannot compute a back-off: numbers from 0 and a factor from 1 are needed, got ${given}`,
    );
  }
  // Limited first: 0 times infinity is not a number.
  const growth = Math.min(factor ** attempt, Number.MAX_VALUE);
  return Math.min(max, initial * growth);
}
