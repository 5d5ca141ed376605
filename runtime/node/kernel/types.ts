/** What a frame of ours says besides what every machine reads in it. Others ignore it. */
export interface Signature {
  /** Of two that hold an address, the higher one is right. 0 to 2³² - 1. */
  readonly term: number
  /** The sender took the address because its holder was silent. */
  readonly taken: boolean
  /** The sender has given the address up; only in a probe. */
  readonly released: boolean
}

/** One ARP or Neighbour Discovery frame, reduced to what it says. */
export interface Heard {
  /**
   * - `asks`: an ARP probe (its sender has no address), or a neighbour solicitation.
   * - `has`: any other ARP request or reply (its sender has the address), or a neighbour advertisement.
   */
  readonly what: "asks" | "has"
  /** The address asked for, or had. In normal form: IPv4 dotted, IPv6 as in RFC 5952. */
  readonly address: string
  /** Of who asks, or has: `aa:bb:cc:dd:ee:ff` */
  readonly mac: string
  /** The frame was sent to this link's MAC and no other. */
  readonly toUs: boolean
  /** An ARP reply, also a gratuitous one, or a solicited neighbour advertisement. A probe from `::` is answered to all, unsolicited. */
  readonly isReply: boolean
  readonly signature: Signature | undefined
}

export interface LinkAddress {
  /** In normal form */
  readonly address: string
  readonly prefix: number
  /** It carries our mark: extip put it there. */
  readonly marked: boolean
  /** Until the kernel removes it; Infinity for one that stays. */
  readonly validSeconds: number
  /** A link-local IPv6 address: what unicast neighbour solicitations are sent from. */
  readonly linkLocal: boolean
}

/** A network interface. */
export interface Link {
  readonly index: number
  readonly name: string
  /** `aa:bb:cc:dd:ee:ff`; empty for a link that is not Ethernet (loopback is). */
  readonly mac: string
  /** By the administrator's will. */
  readonly up: boolean
  /** Something is at the other end. False while the link is down. */
  readonly carrier: boolean
  readonly loopback: boolean
  /** What kind of virtual device: `bridge`, `veth`, `dummy`, …; a physical one has none. */
  readonly kind: string | undefined
  readonly addresses: ReadonlyArray<LinkAddress>
  /** The families whose default route (in the main table) leaves by this link. */
  readonly defaultRoutes: ReadonlyArray<4 | 6>
}

/** A change in the kernel, also one of our own making. Any of them may be told twice. */
export type KernelEvent =
  | {
      /** Not told: the renewal of a marked address. */
      readonly what: "address-added" | "address-removed"
      readonly index: number
      readonly address: string
      readonly marked: boolean
    }
  | {
      readonly what: "link"
      readonly index: number
      readonly name: string
      readonly up: boolean
      readonly carrier: boolean
      readonly removed: boolean
    }
  /** Events were lost: look again with `links()`. */
  | { readonly what: "overrun" }

/** The kernel does not let us, or cannot. The message says in one sentence what is missing and what to do. */
export class KernelRefused extends Error {
  override readonly name = "KernelRefused"
}
