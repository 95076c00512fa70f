import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { readCgroupLimits } from "./cgroup.js";
import { grantedCpus } from "./machine.js";

const roots: string[] = [];

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

function tree(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "cello-cgroup-"));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  return root;
}

const none = { cpuQuota: undefined, cpusetSize: undefined, memoryLimit: undefined };

describe("readCgroupLimits", () => {
  it("reads quota, cpuset and memory of version 2", () => {
    const root = tree({
      "proc/self/cgroup": "0::/app.slice/web.service\n",
      "sys/fs/cgroup/app.slice/web.service/cpu.max": "150000 100000\n",
      "sys/fs/cgroup/app.slice/web.service/cpuset.cpus.effective": "0-2,5\n",
      "sys/fs/cgroup/app.slice/web.service/memory.max": "536870912\n",
      "sys/fs/cgroup/app.slice/web.service/memory.high": "max\n",
    });
    expect(readCgroupLimits(root)).toEqual({ cpuQuota: 1.5, cpusetSize: 4, memoryLimit: 536870912 });
  });

  it("takes the least of a group and those above it", () => {
    const root = tree({
      "proc/self/cgroup": "0::/a/b\n",
      "sys/fs/cgroup/a/cpu.max": "50000 100000\n",
      "sys/fs/cgroup/a/b/cpu.max": "200000 100000\n",
      "sys/fs/cgroup/a/memory.high": "1000000\n",
      "sys/fs/cgroup/a/b/memory.max": "2000000\n",
    });
    expect(readCgroupLimits(root)).toEqual({ cpuQuota: 0.5, cpusetSize: undefined, memoryLimit: 1000000 });
  });

  it("falls back to the mount's root inside a container whose path is the host's", () => {
    const root = tree({
      "proc/self/cgroup": "0::/../../kubepods/pod1\n",
      "sys/fs/cgroup/cpu.max": "25000 100000\n",
      "sys/fs/cgroup/memory.max": "1048576\n",
    });
    expect(readCgroupLimits(root)).toEqual({ cpuQuota: 0.25, cpusetSize: undefined, memoryLimit: 1048576 });
  });

  it("reads version 1", () => {
    const root = tree({
      "proc/self/cgroup": "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n3:cpuset:/docker/x\n1:name=systemd:/\n",
      "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "200000\n",
      "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000\n",
      "sys/fs/cgroup/cpuset/docker/x/cpuset.cpus": "1,3\n",
      "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "268435456\n",
      "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    });
    expect(readCgroupLimits(root)).toEqual({ cpuQuota: 2, cpusetSize: 2, memoryLimit: 268435456 });
  });

  it("knows no limit where none is set or nothing can be read", () => {
    expect(readCgroupLimits(tree({}))).toEqual(none);
    const root = tree({
      "proc/self/cgroup": "0::/\n4:cpu:/\ngarbage\n",
      "sys/fs/cgroup/cpu.max": "max 100000\n",
      "sys/fs/cgroup/memory.max": "max\n",
      "sys/fs/cgroup/cpuset.cpus.effective": "\n",
      "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
      "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    });
    expect(readCgroupLimits(root)).toEqual(none);
  });

  it("reads this machine without failing", () => {
    expect(grantedCpus(readCgroupLimits())).toBeGreaterThan(0);
  });
});

describe("grantedCpus", () => {
  it("is the least of quota, cpuset and machine", () => {
    expect(grantedCpus({ ...none, cpuQuota: 1.5 }, 8)).toBe(1.5);
    expect(grantedCpus({ ...none, cpuQuota: 16, cpusetSize: 2 }, 8)).toBe(2);
    expect(grantedCpus(none, 8)).toBe(8);
  });
});
