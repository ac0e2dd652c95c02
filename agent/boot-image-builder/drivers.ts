import { FILE_SYSTEM_PARTS } from "../filesystems/file-systems.ts";

/** What a group of drivers is for. */
export type DriverKind = "network" | "disk" | "file-system" | "volume" | "bus" | "watchdog" | "crypto";

export interface DriverGroup {
  kind: DriverKind;
  /** Why the image contains them. */
  reason: string;
  /** Names as in `lsmod`. The builder adds what they depend on. */
  modules: readonly string[];
}

const names = (text: string): readonly string[] => text.trim().split(/\s+/);

/**
 * The drivers of the boot image. A machine cannot be cold cloned if its only network card or disk controller
 * has no driver here or in the kernel. The manifest lists all of them, and preflight compares it with the
 * machine.
 */
export const DRIVER_GROUPS: readonly DriverGroup[] = [
  {
    kind: "network",
    reason: "Intel, from desktop boards to 100 Gbit/s",
    modules: names("e100 e1000 e1000e igb igbvf igc ixgb ixgbe ixgbevf i40e iavf ice"),
  },
  {
    kind: "network",
    reason: "Broadcom and QLogic: most servers of Dell, HPE and Lenovo",
    modules: names("tg3 b44 bnx2 bnx2x bnxt_en qede qlcnic netxen_nic"),
  },
  {
    kind: "network",
    reason: "Realtek: desktop boards and small servers",
    modules: names("r8169 8139too 8139cp"),
  },
  { kind: "network", reason: "Mellanox/NVIDIA ConnectX", modules: names("mlx4_en mlx5_core") },
  {
    kind: "network",
    reason: "other server adapters: Emulex, Cisco UCS, Chelsio, Solarflare, Huawei, AMD",
    modules: names("be2net enic cxgb4 sfc hinic amd_xgbe atlantic"),
  },
  {
    kind: "network",
    reason: "boards of the last twenty years",
    modules: names("forcedeth sky2 skge alx atl1c atl1e jme via_velocity via_rhine tulip"),
  },
  {
    kind: "network",
    reason: "virtual machines: KVM, VMware, Hyper-V, Xen, VirtualBox and clouds",
    modules: names("virtio_net vmxnet3 hv_netvsc xen_netfront pcnet32 ne2k_pci ena gve"),
  },
  {
    kind: "network",
    reason: "USB adapters, where the card inside has no driver",
    modules: names(`
      usbnet r8152 asix ax88179_178a cdc_ether cdc_ncm rndis_host smsc75xx smsc95xx lan78xx
      dm9601 aqc111
    `),
  },
  {
    kind: "network",
    reason: "transceivers, which Ethernet drivers request by the kind they find",
    modules: names("realtek marvell broadcom micrel smsc at803x"),
  },
  {
    kind: "network",
    reason: "the source's own network: bonds and VLANs",
    modules: names("bonding 8021q af_packet"),
  },
  {
    kind: "disk",
    reason: "SATA and IDE controllers",
    modules: names(`
      ahci ata_piix ata_generic pata_amd pata_atiixp pata_jmicron pata_marvell pata_via sata_mv
      sata_nv sata_promise sata_sil sata_sil24 sata_sis sata_svw sata_via
    `),
  },
  { kind: "disk", reason: "NVMe, also behind Intel's volume management device", modules: names("nvme vmd") },
  {
    kind: "disk",
    reason: "SAS and RAID controllers of server makers",
    modules: names(`
      mpt3sas mptsas mpi3mr megaraid_sas megaraid_mbox hpsa smartpqi aacraid arcmsr 3w_9xxx
      3w_sas hptiop ips isci mvsas pm80xx
    `),
  },
  {
    kind: "disk",
    reason: "parallel SCSI, also as VMware emulates it",
    modules: names("mptspi aic7xxx aic79xx sym53c8xx BusLogic"),
  },
  { kind: "disk", reason: "Fibre Channel: machines that boot from a SAN", modules: names("lpfc qla2xxx") },
  {
    kind: "disk",
    reason: "virtual machines",
    modules: names("virtio_blk virtio_scsi vmw_pvscsi hv_storvsc xen_blkfront xen_scsifront"),
  },
  {
    kind: "disk",
    reason: "USB and memory-card disks",
    modules: names("usb_storage uas sdhci_pci mmc_block"),
  },
  {
    kind: "disk",
    reason: "turn SCSI devices into disks; sr_mod for the boot image's own CD",
    modules: names("sd_mod sr_mod sg"),
  },
  {
    kind: "bus",
    reason: "how the devices above, and a keyboard, are connected",
    modules: names(`
      virtio_pci virtio_rng hv_vmbus pci_hyperv hyperv_keyboard xhci_pci ehci_pci uhci_hcd
      ohci_pci usbhid hid_generic hid_hyperv
    `),
  },
  {
    kind: "bus",
    reason: "the channel of a guest that browses a recovery point",
    modules: ["virtio_console"],
  },
  {
    kind: "file-system",
    reason: "to restore boot state and to adapt a system",
    modules: FILE_SYSTEM_PARTS.modules,
  },
  {
    kind: "file-system",
    reason: "the boot image's own CD, the firmware's variables, and files over those of the image",
    modules: names("isofs efivarfs overlay"),
  },
  {
    kind: "volume",
    reason: "LVM, software RAID and encrypted disks",
    modules: names(`
      dm_mod dm_crypt dm_snapshot dm_thin_pool dm_mirror dm_raid dm_cache dm_integrity raid0
      raid1 raid10 raid456 linear loop
    `),
  },
  {
    kind: "crypto",
    reason: "requested by name at run time, so no dependency lists them: dm-crypt, cryptsetup, ext4, btrfs",
    modules: names(`
      aesni_intel xts ecb essiv algif_hash algif_skcipher sha256_ssse3 sha512_ssse3
      sha512_generic crc32c_generic crc32c_intel crc32_pclmul crct10dif_pclmul blake2b_generic
      xxhash_generic
    `),
  },
  {
    kind: "watchdog",
    reason: "a watchdog restarts a boot environment that hangs into the original system",
    modules: names("softdog iTCO_wdt i6300esb hpwdt sp5100_tco wdat_wdt"),
  },
];

/**
 * Drivers that do nothing without firmware that is not in their device. Debian's main archive has none of it
 * (it is not free software), so the image contains it only if the builder gets a firmware folder. Other
 * drivers merely work better with their firmware.
 */
export const NEEDS_FIRMWARE: Readonly<Record<string, { package: string; askedBy: string }>> = {
  bnx2: { package: "firmware-bnx2", askedBy: "bnx2" },
  bnx2x: { package: "firmware-bnx2x", askedBy: "bnx2x" },
  qede: { package: "firmware-qlogic", askedBy: "qed" },
};
