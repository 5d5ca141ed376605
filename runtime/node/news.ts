import type * as LogLevel from "effect/LogLevel"
import type { NodeNews } from "./surroundings.ts"

const some = (addresses: ReadonlyArray<string>): string =>
  addresses.length <= 5
    ? addresses.join(", ")
    : `${addresses.slice(0, 5).join(", ")} and ${addresses.length - 5} more`

/** What happened, in a sentence for the log. */
export const describeNews = (news: NodeNews): string => {
  switch (news._tag) {
    case "Adopted":
      return `found ${some(news.addresses)} on its links, put there by the runtime before: they stay`
    case "Took":
      return `${news.node} is silent: took ${some(news.addresses)}`
    case "Yielded":
      return `gave ${news.address} up: ${news.reason}`
    case "Disputed":
      return `gave ${news.address} up: ${news.mac}, which is no node of ours, answers for it`
    case "Proxy":
      return `${news.mac} on ${news.link} answers for addresses that nobody has: an ARP proxy, its answers are ignored`
    case "PutBack":
      return `somebody took ${some(news.addresses)} off; put back and announced`
    case "Stalled":
      return `was not awake for ${news.millis} ms: asking for everything before it is renewed`
    case "Deaf":
      return `nothing is heard on ${news.link}: taking nothing over`
    case "Silent":
      return `${news.node} is silent: asking for what it held`
    case "Carrier":
      return `${news.link} ${news.carrier ? "has a carrier" : "has no carrier"}`
    case "Trouble":
      return news.message
  }
}

export const levelOf = (news: NodeNews): LogLevel.Severity =>
  ["Adopted", "Carrier", "Silent"].includes(news._tag) ? "Info" : "Warn"
