/** The three functions of the metadata proposal without which the container inside the certificate library does not load. */
type Key = string | symbol;
type Target = object;

interface MetadataReflect {
  defineMetadata?: (key: Key, value: unknown, target: Target) => void;
  getMetadata?: (key: Key, target: Target) => unknown;
  getOwnMetadata?: (key: Key, target: Target) => unknown;
}

const reflect: typeof Reflect & MetadataReflect = Reflect;

/** To be called before that library is loaded. A fuller implementation that is already there is left alone. */
export function provideReflectMetadata(): void {
  if (reflect.getMetadata !== undefined) return;
  const store = new WeakMap<Target, Map<Key, unknown>>();
  const getOwn = (key: Key, target: Target): unknown => store.get(target)?.get(key);
  const define = (key: Key, value: unknown, target: Target): void => {
    const values = store.get(target) ?? new Map<Key, unknown>();
    values.set(key, value);
    store.set(target, values);
  };
  const get = (key: Key, target: Target): unknown => {
    let at: Target | null = target;
    while (at !== null) {
      if (store.get(at)?.has(key)) return getOwn(key, at);
      at = Reflect.getPrototypeOf(at);
    }
    return undefined;
  };
  for (const [name, value] of [
    ["defineMetadata", define],
    ["getMetadata", get],
    ["getOwnMetadata", getOwn],
  ] as const) {
    Object.defineProperty(Reflect, name, { value, configurable: true, writable: true });
  }
}
