/** Part of the cloud assembly cannot be read or resolved. The message names the stack and the logical id. */
export class AssemblyError extends Error {
  override readonly name = "AssemblyError";
}
