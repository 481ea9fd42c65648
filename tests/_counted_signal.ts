/** A signal that counts its listeners. */
export function countedSignal(): { controller: AbortController; readonly count: number } {
  const controller = new AbortController();
  const { signal } = controller;
  const listeners = new Set<unknown>();
  const [add, remove] = [signal.addEventListener, signal.removeEventListener];
  signal.addEventListener = (type: string, listener: unknown, options: unknown): void => {
    listeners.add(listener);
    Reflect.apply(add, signal, [type, listener, options]);
  };
  signal.removeEventListener = (type: string, listener: unknown): void => {
    listeners.delete(listener);
    Reflect.apply(remove, signal, [type, listener]);
  };
  return {
    controller,
    get count() {
      return listeners.size;
    },
  };
}
