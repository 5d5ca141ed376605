import * as Effect from "effect/Effect"
import { IpNode } from "../../../../functions/domain/kinds.ts"
import type { NodeLab } from "../../nodeLab.ts"
import type { Fault, FaultName } from "./plan.ts"

interface Doing {
  readonly start: (lab: NodeLab, of: string, all: ReadonlyArray<string>) => Promise<unknown>
  readonly end: (lab: NodeLab, of: string) => Promise<unknown> | unknown
}

const nothing = async () => undefined
const whole = (address: string) => `${address}/${address.includes(":") ? 128 : 32}`
const schedulable = (lab: NodeLab, name: string, unschedulable: true | null) =>
  lab.stack.cluster.patch(IpNode, { namespace: "", name }, { spec: { unschedulable } })

const doings: { readonly [Name in FaultName]: Doing } = {
  "power cut": { start: (lab, node) => lab.powerCut(node), end: (lab, node) => lab.powerOn(node) },
  "runtime killed": {
    start: (lab, node) => lab.killNode(node, "SIGKILL"),
    end: (lab, node) => lab.startNode(node)
  },
  "runtime updated": {
    start: (lab, node) => lab.killNode(node, "SIGTERM"),
    end: (lab, node) => lab.startNode(node)
  },
  "runtime frozen": {
    start: async (lab, node) => await lab.runtimes.get(node)?.stop(),
    end: (lab, node) => lab.runtimes.get(node)?.continue()
  },
  "event loop stalled": {
    start: async (lab, node) => await lab.runtimes.get(node)?.stop(),
    end: (lab, node) => lab.runtimes.get(node)?.continue()
  },
  "host paused": { start: (lab, node) => lab.lan.pause(node), end: (lab, node) => lab.lan.resume(node) },
  "link unplugged": {
    start: (lab, node) => lab.lan.cut(node, "lan"),
    end: (lab, node) => lab.lan.mend(node, "lan")
  },
  "link severed": {
    start: (lab, node) => lab.lan.cut(node, "lan", { carrier: true }),
    end: (lab, node) => lab.lan.mend(node, "lan")
  },
  "link deaf": {
    start: (lab, node) => lab.lan.deafen(node),
    end: (lab, node) => lab.lan.undeafen(node)
  },
  "cut off from NATS": {
    start: (lab, node) => lab.lan.cut(node, "mgmt", { carrier: true }),
    end: (lab, node) => lab.lan.mend(node, "mgmt")
  },
  "LAN split": { start: (lab, _, all) => lab.lan.split(...all), end: (lab) => lab.lan.heal() },
  "NATS killed": {
    start: (lab) => lab.natsDies(),
    end: (lab) => Effect.runPromise(lab.stack.nats.process.start)
  },
  "functions killed": { start: (lab) => lab.hostsDie(), end: (lab) => lab.startHost() },
  "bridge killed": { start: (lab) => lab.bridge.kill("SIGKILL"), end: (lab) => lab.startBridge() },
  unschedulable: {
    start: (lab, node) => schedulable(lab, node, true),
    end: (lab, node) => schedulable(lab, node, null)
  },
  "stranger takes it": {
    start: async (lab, address) => {
      await lab.lan.own("stranger", address)
      await lab.lan.announceByStranger(address)
    },
    end: (lab, address) => lab.lan.disown("stranger", address)
  },
  "taken off by hand": {
    start: async (lab, address) => {
      const remove = (node: string) => lab.lan.run(node, "ip", "addr", "del", whole(address), "dev", "eth0")
      // Whoever has it; the others say that they have not.
      const nodes = lab.lan.nodes.filter((node) => lab.lan.isReachable(node))
      await Promise.all(nodes.map((node) => remove(node).catch(nothing)))
    },
    end: nothing
  },
  "ARP proxy": {
    start: (lab) => lab.lan.proxyByStranger(true),
    end: (lab) => lab.lan.proxyByStranger(false)
  }
}

export const start = async (lab: NodeLab, { name, of }: Fault): Promise<void> => {
  await doings[name].start(lab, of[0] ?? "", of)
}

export const end = async (lab: NodeLab, { name, of }: Fault): Promise<void> => {
  await doings[name].end(lab, of[0] ?? "")
}
