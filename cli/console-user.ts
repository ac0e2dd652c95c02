import { userInfo } from "node:os";

/** The name of the user who gave the command; with sudo the one who used it, and not `root`. */
export function consoleUser({ SUDO_USER }: Record<string, string | undefined>): string {
  return SUDO_USER || userInfo().username;
}
