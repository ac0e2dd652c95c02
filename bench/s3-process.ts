/**
 * The embedded S3 behind its gateway in a separate process: `node bench/s3-process.ts FOLDER`. Prints its
 * address, and runs until it is killed.
 */
import { startEmbeddedS3 } from "#agent/store/testing/embedded-s3.ts";

const s3 = await startEmbeddedS3(undefined, process.argv[2]);
console.log(JSON.stringify({ url: s3.url, region: s3.region, ...(await s3.bucket()) }));
