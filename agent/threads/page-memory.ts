export const PAGE_BYTES = 65_536;

interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
}
// TypeScript's library without the DOM has no WebAssembly values; this is the one part that is needed.
const { Memory } = (
  globalThis as unknown as {
    WebAssembly: { Memory: new (size: { initial: number; maximum: number; shared: true }) => WasmMemory };
  }
).WebAssembly;

/**
 * Memory that threads can share, `pages` × 64 KiB. WebAssembly's is aligned to pages, as O_DIRECT requires.
 */
export function allocatePages(pages: number): SharedArrayBuffer {
  return new Memory({ initial: pages, maximum: pages, shared: true }).buffer;
}
