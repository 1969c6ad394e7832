/** The status line at the head of a message/sipfrag body (RFC 3420): what a transfer has come to. */
export interface Fragment {
  readonly status: number;
  readonly reason: string;
}

const STATUS_LINE = /^SIP\/2\.0[ \t]+([1-6]\d\d)(?!\d)(?:[ \t]+([^\r\n]{0,128}))?/i;

/** Undefined when the body does not begin with a status line. */
export function readFragment(body: Uint8Array): Fragment | undefined {
  const head = Buffer.from(body.buffer, body.byteOffset, Math.min(body.byteLength, 256)).toString('latin1');
  const [, status, reason = ''] = STATUS_LINE.exec(head) ?? [];
  return status === undefined ? undefined : { status: Number(status), reason: reason.trim() };
}

/** @param reason one line */
export function writeFragment(status: number, reason: string): string {
  return `SIP/2.0 ${status} ${reason}\r\n`;
}
