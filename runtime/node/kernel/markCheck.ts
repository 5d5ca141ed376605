import { addressBytes } from "./addresses.ts"
import * as libc from "./libc.ts"
import { refusal } from "./refused.ts"
import type { Requests } from "./requests.ts"
import { deleteAddress, dumpAddresses, newAddress } from "./rtnetlink.ts"
import { readAddress } from "./rtnetlinkRead.ts"
import { KernelRefused } from "./types.ts"

/** In every network namespace. */
const loopback = 1
/** Should this process end in between, the kernel takes the address away. */
const validSeconds = 5
const attempts = 5

/**
 * An address that the machine answers for anyway, since 127.0.0.0/8 is its own: to put it on the loopback link changes
 * nothing for anyone.
 */
const harmless = (attempt: number): string => {
  const byte = () => 1 + Math.floor(Math.random() * 254)
  return `127.${100 + attempt}.${byte()}.${byte()}`
}

/** Shows that we may change addresses, and that the kernel keeps who put them there; throws KernelRefused. */
export const checkMark = (requests: Requests, mark: number): void => {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const text = harmless(attempt)
    const address = addressBytes(text)
    const [put] = requests.change(1, (sequence) =>
      newAddress(sequence, { linkIndex: loopback, address, mark, validSeconds, exclusive: true })
    )
    if (put === libc.EEXIST) continue
    if (put !== 0) throw refusal("put addresses on the links of its host", "CAP_NET_ADMIN", put)
    let kept = 0
    try {
      requests.dump(
        (sequence) => dumpAddresses(sequence, loopback),
        () => {},
        (bytes, _type, _sequence, start, end) => {
          const read = readAddress(bytes, start, end)
          if (read?.address === text) kept = read.protocol
        }
      )
    } finally {
      requests.change(1, (sequence) => deleteAddress(sequence, loopback, address))
    }
    if (kept === mark) return
    throw new KernelRefused(
      "This kernel does not keep who put an address on a link (IFA_PROTO), by which extip tells its own from others': run Linux 5.18 or newer"
    )
  }
  throw new KernelRefused(
    "The loopback link has addresses wherever extip tried to put one in 127.0.0.0/8: remove those that are not needed"
  )
}
