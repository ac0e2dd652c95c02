/**
 * The cloud assembly asks for something that cannot be read or resolved; the message names stack and logical
 * id.
 */
export class AssemblyError extends Error {
  override readonly name = "AssemblyError";
}
