import { setTimeout as sleep } from "node:timers/promises"
import { workloads } from "../support/machines/extipOn.ts"
import { until } from "../support/until.ts"
import type { Ground } from "./ground.ts"

/** What goes wrong in a cluster, or is done to it; resolves when it is over, though not everything is well yet. */
export interface ClusterFault {
  readonly name: string
  /** Clients notice nothing of it, and nothing moves. */
  readonly isUnnoticed?: boolean
  /** Who is on the LAN and who is not may hold the same address meanwhile: nobody can tell them. */
  readonly isSplit?: boolean
  /** Whose containers may have been restarted by it: those on this node, or all of this workload. */
  readonly restarts?: (ground: ReturnType<Ground>, node: string) => Promise<ReadonlyArray<string>>
  readonly happens: (ground: ReturnType<Ground>, node: string, millis: number) => Promise<void>
}

const ours = ["extip-nats", "extip-bridge", "extip-functions", "extip-node"]

/** Pods of ours that are on the node. */
const podsOn = async ({ extip }: ReturnType<Ground>, node: string): Promise<ReadonlyArray<string>> => {
  const all = await Promise.all(
    ours.map((label) => extip.podsOf(label, label === "extip-node" ? "extip-node" : "extip-system"))
  )
  return all.flat().flatMap((pod) => (pod.node === node ? [pod.name] : []))
}

/** The container's first process, as the machine sees it. */
const signal = async (
  ground: ReturnType<Ground>,
  node: string,
  label: string,
  name: string
): Promise<void> => {
  const { cluster } = ground
  const pods = new Set(await podsOn(ground, node))
  const tasks = await cluster.node(node).containers(["tasks", "list", "--quiet"])
  for (const id of tasks.split("\n").filter((one) => one !== "")) {
    const info = await cluster.node(node).containers(["containers", "info", id])
    const labels = (JSON.parse(info) as { readonly Labels: Record<string, string> }).Labels
    const pod = labels["io.kubernetes.pod.name"] ?? ""
    const isIt = pods.has(pod) && pod.startsWith(label) && labels["io.cri-containerd.kind"] === "container"
    if (isIt) await cluster.node(node).containers(["tasks", "kill", "--signal", name, id])
  }
}

const killed = (label: string): ClusterFault => ({
  name: `${label} killed`,
  // A runtime that was started twice within minutes is started once more after ten seconds, when its kernel has let go.
  isUnnoticed: label !== "extip-node",
  restarts: async (ground, node) => (await podsOn(ground, node)).filter((pod) => pod.startsWith(label)),
  happens: async (ground, node) => {
    const { extip } = ground
    const pods = (await podsOn(ground, node)).filter((pod) => pod.startsWith(label))
    await signal(ground, node, label, "SIGKILL")
    // A kubelet waits before it starts once more what it has just started: until then nothing says that it is gone.
    await until(
      `${pods.join(", ")} to be restarted`,
      async () => {
        const restarted = (await extip.restarts()).map((one) => one.split("/")[0])
        return pods.every((pod) => restarted.includes(pod))
      },
      { seconds: 120 }
    )
  }
})

export const clusterFaults: ReadonlyArray<ClusterFault> = [
  {
    name: "power cut",
    restarts: podsOn,
    happens: async ({ cluster }, node, millis) => {
      await cluster.node(node).powerOff()
      await sleep(millis)
      await cluster.reboot(node)
    }
  },
  {
    name: "LAN unplugged",
    isSplit: true,
    // Its kubelet cannot say so, but what lives on it may give up on who it cannot reach.
    happens: async ({ cluster }, node, millis) => {
      const { number } = cluster.node(node).machine.plan
      await cluster.lan.unplug(number)
      await sleep(millis)
      await cluster.lan.plug(number)
    }
  },
  {
    name: "API server away",
    isUnnoticed: true,
    happens: async ({ cluster }, _, millis) => {
      await cluster.control.killApiServer()
      await sleep(millis)
      cluster.control.startApiServer()
      await cluster.control.apiServerReady()
    }
  },
  {
    name: "node runtime frozen",
    happens: async (ground, node, millis) => {
      await signal(ground, node, "extip-node", "SIGSTOP")
      await sleep(Math.min(millis, 15_000))
      await signal(ground, node, "extip-node", "SIGCONT")
    }
  },
  ...ours.map(killed),
  {
    name: "unschedulable",
    happens: async ({ extip }, node, millis) => {
      await extip.setUnschedulable(node, true)
      await sleep(millis)
      await extip.setUnschedulable(node, null)
    }
  },
  ...workloads.map(
    ([namespace, workload]): ClusterFault => ({
      name: `${workload} rolled out anew`,
      isUnnoticed: true,
      happens: ({ extip }) => extip.restart(namespace, workload)
    })
  ),
  ...ours.map(
    (label): ClusterFault => ({
      name: `${label} pods deleted on a node`,
      isUnnoticed: true,
      happens: async ({ cluster, extip }, node) => {
        const namespace = label === "extip-node" ? "extip-node" : "extip-system"
        const pods = (await extip.podsOf(label, namespace)).filter((pod) => pod.node === node)
        if (pods.length === 0) return
        await cluster.kubectl(["-n", namespace, "delete", "pod", ...pods.map(({ name }) => name)])
      }
    })
  )
]
