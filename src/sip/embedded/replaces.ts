import { parseParameters } from './parameters.ts';

/** The dialog that an INVITE takes the place of, as its receiver knows it (RFC 3891 §6.1). */
export interface Replaces {
  readonly callId: string;
  /** Tag of the receiver. */
  readonly toTag: string;
  /** Tag of the other party. */
  readonly fromTag: string;
  /** Only while it is not answered. */
  readonly earlyOnly: boolean;
}

/** Undefined when it is malformed. */
export function readReplaces(value: string): Replaces | undefined {
  const semicolon = value.indexOf(';');
  const callId = (semicolon === -1 ? value : value.slice(0, semicolon)).trim();
  const parameters = semicolon === -1 ? undefined : parseParameters(value, semicolon);
  const toTag = parameters?.get('to-tag');
  const fromTag = parameters?.get('from-tag');
  if (!/^[!-~]{1,256}$/.test(callId) || !toTag || !fromTag) return undefined;
  // Tag 0 stands for an agent of RFC 2543 that has none (RFC 3891 §3).
  return { callId, toTag, fromTag: fromTag === '0' ? '' : fromTag, earlyOnly: parameters?.has('early-only') ?? false };
}

export function writeReplaces({ callId, toTag, fromTag }: Omit<Replaces, 'earlyOnly'>): string {
  return `${callId};to-tag=${toTag};from-tag=${fromTag}`;
}
