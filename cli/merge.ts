/** Two streams of events as one, in the order they were published. */

/**
 * Merges two streams; where both have something, the first goes first.
 *
 * Both are pulled one at a time, so that each keeps its own bounded queue. Events and settled changes of a watcher come
 * out in the order they were published, however slowly they are taken.
 *
 * @param first The stream that goes first.
 * @param second The other.
 * @returns What comes from either, until both have ended.
 */
export async function* merge<A, B>(first: AsyncIterator<A>, second: AsyncIterator<B>): AsyncGenerator<A | B> {
  let a: Promise<Pull<A>> | undefined = pull(first, "a");
  let b: Promise<Pull<B>> | undefined = pull(second, "b");
  while (a || b) {
    // Promise.race() takes the first of those that are settled.
    const pending: Promise<Pull<A> | Pull<B>>[] = [a, b].filter((p) => p !== undefined);
    const { from, result }: Pull<A> | Pull<B> = await Promise.race(pending);
    if (from === "a") a = result.done ? undefined : pull(first, "a");
    else b = result.done ? undefined : pull(second, "b");
    if (!result.done) yield result.value;
  }
}

interface Pull<T> {
  readonly from: "a" | "b";
  readonly result: IteratorResult<T, unknown>;
}

async function pull<T>(iterator: AsyncIterator<T>, from: "a" | "b"): Promise<Pull<T>> {
  return { from, result: await iterator.next() };
}
