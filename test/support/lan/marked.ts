/** IFA_PROTO of what extip puts on a link. */
export const mark = 0x65
