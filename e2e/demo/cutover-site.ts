import type { HypervisorKind } from "#shared/protocol/defined-machine.ts";
import { ProductionNetwork } from "../machines/production-network.ts";
import { SystemdHost } from "../machines/systemd-host.ts";
import { prepareLibvirtTarget } from "./libvirt-target.ts";
import {
  type DatabaseDemo,
  type DatabaseSurroundings,
  type ProtectedDatabase,
  runDatabaseDemo,
} from "./protected-database.ts";
import type { DemoOutcome } from "./report-lines.ts";

/** Where a cutover leads. */
export interface CutoverSite {
  network: ProductionNetwork;
  host: SystemdHost;
}

export interface CutoverDemoOptions {
  keep: boolean;
  /** As `SystemdHost.start` has it. */
  hypervisor?: HypervisorKind | undefined;
}

export interface CutoverSurroundings extends Required<DatabaseSurroundings> {
  /** The target host. Throws before it is prepared. */
  host: () => SystemdHost;
}

/**
 * A network for the clients, and a target host that systemd starts: the guard of a lease is one of its
 * services. Both end with `opened`. `hypervisor`: as `SystemdHost.start` has it.
 */
export async function openSurroundings(
  opened: AsyncDisposableStack,
  hypervisor?: HypervisorKind,
): Promise<CutoverSurroundings> {
  const production = opened.use(await ProductionNetwork.open());
  let started: SystemdHost | undefined;
  const prepareTarget = async (dir: string, log: (line: string) => void) => {
    const target = await prepareLibvirtTarget(dir, log);
    started = opened.use(await SystemdHost.start(dir, hypervisor));
    return { ...target, enter: started.enter };
  };
  const host = () => {
    if (!started) throw new Error("the target host was not started");
    return started;
  };
  return { production, prepareTarget, host };
}

/** As `runDatabaseDemo`, with what `openSurroundings` opens. */
export async function runCutoverDemo<Report extends DemoOutcome>(
  facts: Report,
  { hypervisor, ...demo }: Pick<DatabaseDemo<Report>, "name" | "isProved"> & CutoverDemoOptions,
  work: (database: ProtectedDatabase, site: CutoverSite) => Promise<void>,
): Promise<Report> {
  await using opened = new AsyncDisposableStack();
  const { host, ...surroundings } = await openSurroundings(opened, hypervisor);
  return await runDatabaseDemo(facts, { ...demo, ...surroundings }, (database) =>
    work(database, { network: surroundings.production, host: host() }),
  );
}
