import { addressBytes } from "./addresses.ts"
import { Events } from "./events.ts"
import { inTurn } from "./inTurn.ts"
import * as libc from "./libc.ts"
import { listAddresses, listLinks } from "./links.ts"
import { checkMark } from "./markCheck.ts"
import { OurAddresses } from "./ourAddresses.ts"
import { checkPackets } from "./packetOpen.ts"
import type { Poller } from "./poller.ts"
import { Requests } from "./requests.ts"
import { deleteAddress, forever, newAddress, RTM } from "./rtnetlink.ts"
import { readAddress, readLink } from "./rtnetlinkRead.ts"
import type { KernelEvent, Link } from "./types.ts"

export { ipvsTrouble } from "./ipvs.ts"
export { type KernelEvent, KernelRefused, type Link, type LinkAddress } from "./types.ts"

const EBADF = 9

/** Links, addresses and routes of this network namespace. What others put there is read, and never changed. */
export class Kernel {
  readonly #mark: number
  readonly #onEvent: (event: KernelEvent) => void
  readonly #requests: Requests
  readonly #events: Events
  readonly #unwatch: () => void
  readonly #ours: OurAddresses
  /** Index of the link → what has been told of it. */
  readonly #told = new Map<number, string>()
  readonly #inTurn = inTurn()
  #isClosed = false

  private constructor(
    options: {
      readonly mark: number
      readonly onEvent: (event: KernelEvent) => void
      readonly poller: Poller
    },
    requests: Requests,
    events: Events
  ) {
    this.#mark = options.mark
    this.#ours = new OurAddresses(options.mark)
    this.#onEvent = options.onEvent
    this.#requests = requests
    this.#events = events
    for (const link of this.links()) this.#told.set(link.index, said(link))
    this.#refresh()
    this.#unwatch = options.poller.add(events.fd, () => this.#drain())
  }

  /**
   * `mark` (1 to 255) is kept by the kernel with every address that is put (IFA_PROTO), also when this process has ended.
   * Throws KernelRefused.
   */
  static open(options: {
    readonly mark: number
    readonly onEvent: (event: KernelEvent) => void
    readonly poller: Poller
  }): Kernel {
    checkPackets()
    const requests = new Requests()
    let events: Events | undefined
    try {
      checkMark(requests, options.mark)
      events = new Events(options.mark)
      return new Kernel(options, requests, events)
    } catch (cause) {
      events?.close()
      requests.close()
      throw cause
    }
  }

  /** Read anew at each call: some milliseconds with a thousand addresses. */
  links(): ReadonlyArray<Link> {
    return listLinks(this.#requests, this.#mark)
  }

  /**
   * Puts addresses (in normal form) on a link, or renews what is there with our mark. For each an errno, 0 for done; 17
   * (EEXIST) when the link has the address by somebody else, who keeps it.
   */
  put(index: number, addresses: ReadonlyArray<string>, validSeconds: number): Promise<ReadonlyArray<number>> {
    const valid = Number.isFinite(validSeconds) ? Math.ceil(validSeconds) : forever
    return this.#change(addresses, (some) => {
      const bytes = some.map(addressBytes)
      const put = (places: ReadonlyArray<number>, isNew: (place: number) => boolean) =>
        this.#requests.change(places.length, (sequence, at) =>
          newAddress(sequence, {
            linkIndex: index,
            address: bytes[places[at]!]!,
            mark: this.#mark,
            validSeconds: valid,
            exclusive: isNew(places[at]!)
          })
        )
      // What we do not know to be ours must not be replaced: with its lifetime, it would end after it.
      const done = put([...some.keys()], (place) => !this.#ours.has(index, some[place]!))
      if (done.includes(libc.EEXIST)) {
        this.#refresh()
        const ours = [...some.keys()].filter(
          (place) => done[place] === libc.EEXIST && this.#ours.has(index, some[place]!)
        )
        for (const [at, result] of put(ours, () => false).entries()) done[ours[at]!] = result
      }
      for (const [place, result] of done.entries()) if (result === 0) this.#ours.add(index, some[place]!)
      return done
    })
  }

  /** Removes addresses that carry our mark. For each an errno: 99 (EADDRNOTAVAIL) when it is not there, or not ours. */
  remove(index: number, addresses: ReadonlyArray<string>): Promise<ReadonlyArray<number>> {
    return this.#change(addresses, (some) => {
      if (some.some((address) => !this.#ours.has(index, address))) this.#refresh()
      const done = new Array<number>(some.length).fill(libc.EADDRNOTAVAIL)
      const ours = [...some.keys()].filter((place) => this.#ours.has(index, some[place]!))
      const results = this.#requests.change(ours.length, (sequence, at) =>
        deleteAddress(sequence, index, addressBytes(some[ours[at]!]!))
      )
      for (const [at, result] of results.entries()) {
        done[ours[at]!] = result
        if (result === 0) this.#ours.delete(index, some[ours[at]!]!)
      }
      return done
    })
  }

  /** What is still to be put or removed is not: its errno is 9 (EBADF). What has been put stays. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#unwatch()
    this.#events.close()
    this.#requests.close()
  }

  #change(
    addresses: ReadonlyArray<string>,
    change: (some: ReadonlyArray<string>) => ReadonlyArray<number>
  ): Promise<ReadonlyArray<number>> {
    return this.#inTurn(addresses, (some) => {
      this.#drain()
      return this.#isClosed ? some.map(() => EBADF) : change(some)
    })
  }

  #refresh(): void {
    this.#ours.replace(listAddresses(this.#requests, 0))
  }

  #drain(): void {
    const events: Array<KernelEvent> = []
    const isWhole = this.#events.drain((bytes, type, _sequence, start, end) => {
      if (type === RTM.newAddress || type === RTM.deleteAddress) {
        const read = readAddress(bytes, start, end)
        if (read === undefined) return
        const marked = this.#ours.note(read, type === RTM.newAddress)
        const what = type === RTM.newAddress ? "address-added" : "address-removed"
        events.push({ what, index: read.index, address: read.address, marked })
        return
      }
      const link = readLink(bytes, start, end)
      if (link === undefined) return
      const removed = type === RTM.deleteLink
      const { index, name, up, carrier } = link
      if (!removed && this.#told.get(index) === said(link)) return
      if (removed) this.#told.delete(index)
      else this.#told.set(index, said(link))
      if (removed) this.#ours.forget(index)
      events.push({ what: "link", index, name, up, carrier, removed })
    })
    if (!isWhole) {
      this.#refresh()
      events.push({ what: "overrun" })
    }
    for (const event of events) this.#onEvent(event)
  }
}

/** What of a link is worth an event. */
const said = (link: {
  readonly name: string
  readonly mac: string
  readonly up: boolean
  readonly carrier: boolean
}): string => `${link.name} ${link.mac} ${link.up} ${link.carrier}`
