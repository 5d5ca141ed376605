import { setInterval } from "node:timers"
import { parseFrame, probeFrame } from "../node/kernel/frames.ts"
import { PacketSocket } from "../node/kernel/packets.ts"
import { Poller } from "../node/kernel/poller.ts"

/**
 * A machine on the LAN that asks for one address by ARP every 10 ms, and prints a line of JSON whenever another machine
 * answers than before: `{"mac":"02:…","at":<milliseconds since the epoch>,"silentMillis":<since the answer before it>}`.
 *
 * Started by `extip up` in a network namespace: `asker LINK-INDEX LINK-MAC ADDRESS`.
 */
const [index, mac, address] = process.argv.slice(2) as [string, string, string]
const socket = PacketSocket.open(Number(index))
const poller = new Poller()
let answering = ""
let last = 0
for (const fd of socket.fds) {
  poller.add(fd, () => {
    const now = Date.now()
    socket.receive((frame) => {
      const heard = parseFrame(frame, mac)
      if (heard?.what !== "has" || heard.address !== address || !heard.toUs) return
      if (heard.mac !== answering) {
        console.log(JSON.stringify({ mac: heard.mac, at: now, silentMillis: last === 0 ? 0 : now - last }))
      }
      answering = heard.mac
      last = now
    })
  })
}
setInterval(() => socket.send([probeFrame(address, mac)]), 10)
