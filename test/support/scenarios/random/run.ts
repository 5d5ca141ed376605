import { setTimeout as sleep } from "node:timers/promises"
import { NodeLab } from "../../nodeLab.ts"
import type { Shared } from "../../parts.ts"
import * as faults from "./faults.ts"
import { describe, type Fault, planOf, type Step } from "./plan.ts"
import { type Doubles, judge, noDoubles } from "./rule.ts"

/** A seed from the environment, to do once more what failed; else any. */
export const seedOf = (): number => Number(process.env.EXTIP_SEED ?? Math.floor(Math.random() * 2 ** 31))

const announceMillis = 1_000

/** Four nodes and a dozen addresses of both families; what a stranger had is tried again soon. */
export const labOfRandomFaults = async (
  shared: Shared,
  lifetimeMillis: number
): Promise<{ readonly lab: NodeLab; readonly addresses: ReadonlyArray<string> }> => {
  const lab = await NodeLab.open(shared, {
    nodes: 4,
    lifetimeMillis,
    hostArgs: ["--conflict-retry-millis", "3000"]
  })
  const addresses = [...lab.addresses(10), "fd77::1:0", "fd77::1:1"]
  await lab.claim(addresses)
  await lab.settled(addresses)
  return { lab, addresses }
}

class Run {
  readonly #lab: NodeLab
  readonly #addresses: ReadonlyArray<string>
  readonly #graceMillis: number
  readonly #active = new Set<Fault>()
  readonly #complaints: Array<string> = []
  readonly #startedAt = performance.now()
  readonly done: Array<string> = []
  #doubles: Doubles = noDoubles
  #announcedAt = 0

  constructor(lab: NodeLab, addresses: ReadonlyArray<string>, graceMillis: number) {
    this.#lab = lab
    this.#addresses = addresses
    this.#graceMillis = graceMillis
  }

  /** Does what is planned, in this order, and no step before its time. */
  async steps(steps: ReadonlyArray<Step>): Promise<void> {
    for (const step of steps) {
      const wait = this.#startedAt + step.at - performance.now()
      if (wait > 0) await sleep(wait)
      if (this.#complaints.length > 0) return
      this.done.push(
        `${((performance.now() - this.#startedAt) / 1000).toFixed(1)} s, planned ${describe(step)}`
      )
      if (step.what === "starts") {
        await faults.start(this.#lab, step.fault)
        this.#active.add(step.fault)
      } else {
        this.#active.delete(step.fault)
        await faults.end(this.#lab, step.fault)
      }
    }
  }

  /** Looks who answers, on each side, until the signal. */
  async watch(signal: AbortSignal): Promise<void> {
    const { lan } = this.#lab
    while (!signal.aborted) {
      await this.#strangersAnnounce()
      for (const side of ["a", "b"] as const) {
        const macs = await lan.observer.ask(this.#addresses, side, 100)
        const isProxied = [...this.#active].some(({ name }) => name === "ARP proxy")
        const answers = new Map(
          [...macs].map(([address, all]) => [
            address,
            all
              .map((mac) => lan.hostOf(mac) ?? mac)
              .filter((host) => host !== "stranger" || (!isProxied && this.#isStrangers(address)))
          ])
        )
        for (const address of this.#addresses) if (!answers.has(address)) answers.set(address, [])
        const look = { at: performance.now(), side, answers }
        const { doubles, complaints } = judge(this.#doubles, look, this.#graceMillis)
        this.#doubles = doubles
        if (this.#complaints.length === 0) this.#complaints.push(...complaints)
      }
      await sleep(50)
    }
  }

  /** Fails when the rule was broken. */
  async expectNone(): Promise<void> {
    await this.#lab.lan.observer.expectNothingLost()
    if (this.#complaints.length > 0) throw new Error(this.#complaints.join("\n"))
  }

  #isStrangers(address: string): boolean {
    return [...this.#active].some(({ name, of }) => name === "stranger takes it" && of[0] === address)
  }

  /** As a machine that is in use speaks of itself now and then: whoever was deaf hears it later. */
  async #strangersAnnounce(): Promise<void> {
    const now = performance.now()
    if (now - this.#announcedAt < announceMillis) return
    this.#announcedAt = now
    const all = this.#addresses.filter((address) => this.#isStrangers(address))
    if (all.length > 0) await this.#lab.lan.announceByStranger(...all)
  }
}

export interface RandomOptions {
  readonly seed: number
  readonly count: number
  /** After so many everything is mended, and looked at. */
  readonly atOnce: number
}

/**
 * Breaks things at random, each for a while, any of them at once. At every moment at most one host answers for an
 * address; when all is mended, exactly one, the one that its claim names.
 */
export const randomFaults = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  { seed, count, atOnce }: RandomOptions
): Promise<void> => {
  for (let made = 0; made < count; made += atOnce) {
    const steps = planOf({
      seed: seed + made,
      count: Math.min(atOnce, count - made),
      nodes: lab.lan.nodes,
      addresses,
      longestMillis: lab.lifetimeMillis + 5_000
    })
    const run = new Run(lab, addresses, lab.lifetimeMillis + 5_000)
    const stop = new AbortController()
    const watching = run.watch(stop.signal)
    watching.catch(() => undefined)
    try {
      await run.steps(steps)
      await run.expectNone()
      await lab.mendAll()
      await lab.settled(addresses, { seconds: 60 })
      stop.abort()
      await watching
      await run.expectNone()
    } catch (cause) {
      const told = [`EXTIP_SEED=${seed}, faults ${made} to ${made + steps.length / 2}:`, ...run.done]
      console.log(lab.logs())
      throw new Error(`${told.join("\n  ")}\n${cause instanceof Error ? cause.message : String(cause)}`, {
        cause
      })
    } finally {
      stop.abort()
    }
  }
}
