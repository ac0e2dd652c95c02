import { ProductionNetwork } from "../machines/production-network.ts";
import { SystemdHost } from "../machines/systemd-host.ts";
import { prepareLibvirtTarget } from "./libvirt-target.ts";
import { type DatabaseDemo, type ProtectedDatabase, runDatabaseDemo } from "./protected-database.ts";
import type { DemoOutcome } from "./report-lines.ts";

/**
 * As `runDatabaseDemo`, with a network for the clients and a target host that systemd has started: the guard
 * of a lease is one of its services.
 */
export async function runCutoverDemo<Report extends DemoOutcome>(
  facts: Report,
  demo: Pick<DatabaseDemo<Report>, "name" | "keep" | "isProved">,
  work: (database: ProtectedDatabase, network: ProductionNetwork) => Promise<void>,
): Promise<Report> {
  await using opened = new AsyncDisposableStack();
  const production = opened.use(await ProductionNetwork.open());
  const prepareTarget = async (dir: string, log: (line: string) => void) => {
    const target = await prepareLibvirtTarget(dir, log);
    const host = opened.use(await SystemdHost.start(dir));
    return { ...target, enter: host.enter };
  };
  return await runDatabaseDemo(facts, { ...demo, prepareTarget, production }, (database) =>
    work(database, production),
  );
}
