import type { Adapter } from "../adapter.ts";

/** Units that act in the name of the source, by what they are. */
const KEPT_OFF: Readonly<Record<string, readonly string[]>> = {
  "the Causeway agent": ["causeway-agent"],
  "a cluster": [
    ...["corosync", "pacemaker", "pcsd", "sbd", "keepalived", "heartbeat", "ctdb", "drbd", "vrrpd"],
    ...["patroni", "repmgrd", "etcd", "consul", "nomad", "serf", "zookeeper", "glusterd", "ceph.target"],
    ...["kubelet", "k3s", "k3s-agent", "rke2-server", "rke2-agent", "slurmd", "slurmctld", "pve-cluster"],
  ],
  monitoring: [
    ...["zabbix-agent", "zabbix-agent2", "nagios-nrpe-server", "nrpe", "icinga2", "check_mk.socket"],
    ...["check-mk-agent.socket", "cmk-agent-ctl-daemon", "munin-node", "collectd", "telegraf", "netdata"],
    ...["prometheus-node-exporter", "node_exporter", "datadog-agent", "newrelic-infra", "snmpd", "monit"],
    ...["filebeat", "metricbeat", "auditbeat", "elastic-agent", "splunk", "SplunkForwarder", "promtail"],
    ...["fluentd", "fluent-bit", "td-agent", "vector", "amazon-cloudwatch-agent", "osqueryd", "wazuh-agent"],
  ],
  "configuration management": ["puppet", "chef-client", "salt-minion", "cfengine3", "rudder-agent"],
};

const unitOf = (name: string) => (name.includes(".") ? name : `${name}.service`);

/** The units that a drill may keep off. */
export const DRILL_UNITS: readonly string[] = Object.values(KEPT_OFF).flat().map(unitOf);

/** The condition is never met, because `/` always exists. Unlike a mask, it changes no file of the unit. */
const DROP_IN = "[Unit]\nConditionPathExists=!/\n";

/** In a drill, what would act in the source's name beside the running source does not start. */
export const drillServices: Adapter = {
  reads: ["/etc/systemd/system/*.d/causeway-drill.conf"],
  adapt(system, { purpose }) {
    if (purpose !== "drill") return {};
    const edits = Object.entries(KEPT_OFF).flatMap(([what, names]) =>
      names
        .map(unitOf)
        .filter((unit) => system.units.has(unit))
        .map((unit) => ({
          path: `/etc/systemd/system/${unit}.d/causeway-drill.conf`,
          after: Buffer.from(DROP_IN),
          why: `${unit} stays off in a drill: ${what} of the source`,
        })),
    );
    return { edits };
  },
};
