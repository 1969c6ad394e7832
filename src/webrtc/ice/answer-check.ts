import type { Path } from '../path.ts';
import { verifyIntegrity } from '../stun/integrity.ts';
import { BINDING_METHOD, type RawAttribute, type StunMessage } from '../stun/stun-message.ts';
import { writeStun } from '../stun/write-stun.ts';
import type { IceCredentials, StunDrop } from './ice-agent.ts';

/**
 * Who may check us: USERNAME must be `ours:theirs` and MESSAGE-INTEGRITY made with our password, before anything else is looked at.
 * A request without both gets silence, not the 400/401 of RFC 8489 §9.1.3: an answer would make us a reflector.
 * @param remoteUfrag the sender's, when it is known from its description
 * @returns why the request is not believed; undefined when it is
 */
export function judgeRequest(
  datagram: Buffer,
  message: StunMessage,
  local: IceCredentials,
  remoteUfrag: string | undefined,
): StunDrop | undefined {
  if (message.class !== 'request' || message.method !== BINDING_METHOD) return 'unexpected';
  if (!isForUs(message.username, local.ufrag, remoteUfrag)) return 'username';
  return verifyIntegrity(datagram, message, local.pwd) ? undefined : 'integrity';
}

function isForUs(username: Buffer | undefined, localUfrag: string, remoteUfrag: string | undefined): boolean {
  if (!username) return false;
  const name = username.toString('latin1');
  return remoteUfrag === undefined ? name.startsWith(`${localUfrag}:`) : name === `${localUfrag}:${remoteUfrag}`;
}

/** The success response to a verified check (RFC 8445 §7.3.1.2): the address it came from, under our password. */
export function writeSuccess(message: StunMessage, path: Path, local: IceCredentials, extra: readonly RawAttribute[] = []): Buffer {
  const { transactionId } = message;
  const xorMappedAddress = { address: path.address, port: path.port };
  return writeStun({ class: 'success', transactionId, xorMappedAddress, extra }, local.pwd);
}

/** 420: names what was not understood (RFC 8489 §6.3.1). */
export function writeUnknownAttributes(message: StunMessage, local: IceCredentials): Buffer {
  const { transactionId, unknownRequired } = message;
  const error = { code: 420, reason: 'Unknown Attribute' };
  return writeStun({ class: 'error', transactionId, error, unknownAttributes: unknownRequired }, local.pwd);
}

/** 487: the sender claims our role and has to change its own (RFC 8445 §7.3.1.1). */
export function writeRoleConflict(message: StunMessage, local: IceCredentials): Buffer {
  return writeStun({ class: 'error', transactionId: message.transactionId, error: { code: 487, reason: 'Role Conflict' } }, local.pwd);
}
