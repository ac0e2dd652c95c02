import {
  constants,
  createZstdCompress,
  createZstdDecompress,
  zstdCompressSync,
  zstdDecompressSync,
} from "node:zlib";

/** Compresses and expands units in the caller's buffers. One instance per thread; not re-entrant. */
export interface Compressor {
  /** Compresses `input` into `output` and returns the length, or -1 if the result does not fit. */
  compress(input: Buffer, output: Buffer): number;
  /**
   * Expands one frame into `output` and returns the length; throws if it is not one whole frame that fits.
   */
  expand(input: Buffer, output: Buffer): number;
}

// Level 1 is the best that keeps up with a fast disk; see docs/decisions/0010.
const LEVEL = { [constants.ZSTD_c_compressionLevel]: 1 };

/**
 * The fastest zstd at hand. Node's one-shot functions make a context and an output buffer per call, which
 * costs a third of the time when expanding; its stream handles can be driven synchronously into our own
 * buffers. That is not a documented interface, so it is used only if it behaves as expected in a trial; the
 * one-shot functions are the fallback.
 */
export function createCompressor(): Compressor {
  const fast = createHandleCompressor();
  return fast && passesTrial(fast) ? fast : oneShotCompressor;
}

/** The documented functions only. */
export const oneShotCompressor: Compressor = {
  compress(input, output) {
    const frame = zstdCompressSync(input, { params: LEVEL, chunkSize: input.length + 1024 });
    return frame.length <= output.length ? frame.copy(output) : -1;
  },
  expand(input, output) {
    const bytes = zstdDecompressSync(input, {
      chunkSize: Math.max(64, output.length),
      maxOutputLength: output.length,
    });
    return bytes.copy(output);
  },
};

interface Driven {
  _handle: {
    writeSync(
      flush: number,
      input: Buffer,
      inputAt: number,
      inputLength: number,
      output: Buffer,
      outputAt: number,
      outputLength: number,
    ): void;
    close(): void;
    onerror?: unknown;
  };
  /** After each write: bytes of output left, bytes of input left. */
  _writeState: Uint32Array;
}

/** Drives the handles inside Node's zstd streams. Returns `undefined` if their interface has changed. */
export function createHandleCompressor(): Compressor | undefined {
  const first = { compress: createZstdCompress({ params: LEVEL }), expand: createZstdDecompress() };
  if (!isDriven(first.compress) || !isDriven(first.expand)) return undefined;
  const state = { compress: driver(first.compress), expand: driver(first.expand) };
  // A handle is unusable after an error, so the next call gets a new one. The garbage collector does not
  // count the old one's 2 MiB, so it is closed at once.
  return {
    compress(input, output) {
      const result = state.compress.run(input, output);
      if (result.inputLeft === 0 && result.outputLeft > 0 && !result.failed)
        return output.length - result.outputLeft;
      state.compress.close();
      state.compress = driver(createZstdCompress({ params: LEVEL }));
      return -1;
    },
    expand(input, output) {
      const result = state.expand.run(input, output);
      if (result.inputLeft === 0 && !result.failed) return output.length - result.outputLeft;
      state.expand.close();
      state.expand = driver(createZstdDecompress());
      throw new RangeError("not one zstd frame of the expected size");
    },
  };
}

interface Driving {
  failed: boolean;
  inputLeft: number;
  outputLeft: number;
}

interface Driver {
  run(input: Buffer, output: Buffer): Driving;
  /** Frees its memory. */
  close(): void;
}

function driver(stream: unknown): Driver {
  if (!isDriven(stream)) throw new TypeError("zstd streams have changed their shape");
  const { _handle: handle, _writeState: left } = stream;
  let failed = false;
  handle.onerror = () => {
    failed = true;
  };
  return {
    run(input, output) {
      failed = false;
      handle.writeSync(constants.ZSTD_e_end, input, 0, input.length, output, 0, output.length);
      return { failed, outputLeft: left[0] ?? 0, inputLeft: left[1] ?? 0 };
    },
    close: () => handle.close(),
  };
}

function isDriven(stream: unknown): stream is Driven {
  const { _handle, _writeState } = stream as Partial<Driven>;
  return (
    typeof _handle?.writeSync === "function" &&
    typeof _handle.close === "function" &&
    _writeState instanceof Uint32Array
  );
}

/** Tries round trips, an overflow and a bad frame. If anything fails, the slower functions are used. */
function passesTrial(compressor: Compressor): boolean {
  const input = Buffer.from("trial ".repeat(1000));
  const frame = Buffer.alloc(8192);
  const output = Buffer.alloc(input.length);
  try {
    for (let round = 0; round < 2; round++) {
      const length = compressor.compress(input, frame);
      if (!zstdDecompressSync(frame.subarray(0, length)).equals(input)) return false;
      if (compressor.expand(frame.subarray(0, length), output) !== input.length || !output.equals(input))
        return false;
      if (compressor.compress(input, Buffer.alloc(4)) !== -1) return false;
      if (!refuses(() => compressor.expand(Buffer.from("no frame at all"), output))) return false;
    }
    return true;
  } catch {
    return false;
  }
}

function refuses(run: () => unknown): boolean {
  try {
    run();
    return false;
  } catch {
    return true;
  }
}
