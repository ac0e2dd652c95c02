import { failureOf } from "#shared/errors.ts";
import { ServiceName } from "#shared/protocol/fence.ts";
import type { Systemctl } from "../hypervisor/qemu/service/systemctl.ts";

export interface WholeServices {
  /** The given ones and all their parts, each once. */
  services: string[];
  /** Why systemd did not tell the parts of a service, for those where it did not. */
  failures: Map<string, string>;
}

/**
 * Finds what systemd knows as parts of these services, at any depth: those with `PartOf=` one of them, such
 * as `postgresql@15-main.service` of Debian's `postgresql.service`. At the host's start, systemd starts a
 * part even if a condition holds back the service that it is a part of.
 */
export async function withParts(services: readonly string[], systemctl: Systemctl): Promise<WholeServices> {
  const found = new Set(services);
  const failures = new Map<string, string>();
  // A set also visits what is added while it is walked.
  for (const service of found) {
    try {
      const parts = await systemctl("show", "--property=ConsistsOf", "--value", service);
      for (const part of parts.split(/\s+/)) if (ServiceName.safeParse(part).success) found.add(part);
    } catch (error) {
      failures.set(service, failureOf(error).message);
    }
  }
  return { services: [...found], failures };
}
