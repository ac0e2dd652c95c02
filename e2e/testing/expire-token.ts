import { join } from "node:path";
import { systemClock } from "#local/core/clock.ts";
import { TableStore } from "#local/dynamodb/table-store.ts";

interface Attribute {
  S?: string;
}

/**
 * Makes an enrolment token of a stopped control plane expired, because tests cannot change the clock of its
 * functions.
 */
export async function expireEnrolmentToken(dataDir: string, id: string): Promise<void> {
  const tables = await TableStore.open({ directory: join(dataDir, "dynamodb"), clock: systemClock });
  try {
    const { TableNames } = (await tables.run("ListTables", {})) as { TableNames: string[] };
    for (const TableName of TableNames) {
      const { Items } = (await tables.run("Scan", { TableName })) as { Items: Record<string, Attribute>[] };
      const token = Items.find((item) => item.id?.S === id && item.validUntil !== undefined);
      if (!token) continue;
      await tables.run("PutItem", {
        TableName,
        Item: { ...token, validUntil: { S: "2020-01-01T00:00:00.000Z" } },
      });
      return;
    }
    throw new Error(`no table holds the enrolment token ${id}`);
  } finally {
    await tables.close();
  }
}
