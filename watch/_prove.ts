/** Opening a source: it counts as working once a reading succeeded, and nothing it says meanwhile is lost. */

import type { Reading, Source, SourceEvents, SourceFactory } from "./_reading.ts";

/** A source that works, and has nobody to talk to yet. */
export interface ProvenSource {
  /** The source. */
  readonly source: Source;
  /** The reading that proved it. */
  readonly reading: Reading;
  /** Says where the source reports from now on, and hands over what it has said until now. */
  listen(events: SourceEvents): void;
}

/**
 * Opens a source and proves it by a reading.
 *
 * @param open Opens it.
 * @returns The source, which belongs to the caller.
 * @throws {unknown} What opening or reading threw, or what the source reported as its failure meanwhile; it is closed then.
 */
export async function prove(open: SourceFactory): Promise<ProvenSource> {
  const said: { hint: boolean; failure?: { readonly error: unknown }; to?: SourceEvents } = { hint: false };
  const source = await open({
    hint: () => said.to ? said.to.hint() : void (said.hint = true),
    overflow: (detail) => said.to ? said.to.overflow(detail) : void (said.hint = true),
    failed: (error) => said.to ? said.to.failed(error) : void (said.failure ??= { error }),
  });
  try {
    const reading = await source.read();
    if (said.failure) throw said.failure.error;
    return {
      source,
      reading,
      listen(events) {
        said.to = events;
        if (said.failure) events.failed(said.failure.error);
        else if (said.hint) events.hint();
      },
    };
  } catch (error) {
    await source[Symbol.asyncDispose]();
    throw error;
  }
}
