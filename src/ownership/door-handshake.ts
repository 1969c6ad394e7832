import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import { randomText } from '../base/ids.ts';
import { DOOR_VERSION, type DoorHello, type DoorWelcome, decode, doorHello, doorProof, doorWelcome } from '../leg/door-envelope.ts';
import { type DoorKeys, findKey } from './cluster-keys.ts';
import { CHANNEL_KEY_BYTES, DoorChannel } from './door-channel.ts';
import type { NodeId } from './node-id.ts';

/**
 * Who is at the door. Three messages: the dialler's hello with a nonce; the listener's welcome with its nonce and a proof; the dialler's
 * proof. A proof is an HMAC under the door key over everything said by both, so each side has proven the key for this connection and
 * nothing recorded can be used again. The keys of the channel come from the same text.
 */
export interface DoorIdentity {
  readonly nodeId: NodeId;
  readonly incarnation: number;
}

export interface Admitted {
  readonly peer: DoorIdentity;
  readonly channel: DoorChannel;
}

/** 43 characters of 6 bits: 32 bytes, the same size as a proof. */
const NONCE_CHARACTERS = 43;

type Label = 'listener proof' | 'dialler proof' | 'dialler to listener' | 'listener to dialler';
type Welcome = Omit<DoorWelcome, 'proof'>;

interface Challenge {
  readonly hello: DoorHello;
  readonly key: KeyObject;
  readonly said: string;
}

/** The side that opens the connection; it knows which node it wants. */
export class DialHandshake {
  readonly #self: DoorIdentity;
  readonly #wanted: NodeId;
  readonly #keys: DoorKeys;
  readonly #hello: DoorHello;

  constructor(self: DoorIdentity, wanted: NodeId, keys: DoorKeys) {
    this.#self = self;
    this.#wanted = wanted;
    this.#keys = keys;
    this.#hello = {
      version: DOOR_VERSION,
      nodeId: self.nodeId,
      incarnation: self.incarnation,
      nonce: randomText(NONCE_CHARACTERS),
      keyIds: keys.door.accepted.map(({ id }) => id),
    };
  }

  hello(): string {
    return JSON.stringify(this.#hello);
  }

  /** Takes the welcome. Undefined when the other side is not the node we want or does not hold the key. */
  handle(text: string): (Admitted & { readonly reply: string }) | undefined {
    const welcome = decode(doorWelcome, text);
    const key = welcome && this.#hello.keyIds.includes(welcome.keyId) ? findKey(this.#keys.door, welcome.keyId) : undefined;
    if (!welcome || !key || welcome.nodeId !== this.#wanted || welcome.nodeId === this.#self.nodeId) return undefined;
    const said = transcript(this.#hello, welcome);
    if (!proves(welcome.proof, key, 'listener proof', said)) return undefined;
    return {
      peer: { nodeId: welcome.nodeId, incarnation: welcome.incarnation },
      channel: new DoorChannel(channelKey(key, 'dialler to listener', said), channelKey(key, 'listener to dialler', said)),
      reply: JSON.stringify({ proof: prove(key, 'dialler proof', said) }),
    };
  }
}

/** The side that listens. */
export class ListenHandshake {
  readonly #self: DoorIdentity;
  readonly #keys: DoorKeys;
  #challenge: Challenge | undefined;

  constructor(self: DoorIdentity, keys: DoorKeys) {
    this.#self = self;
    this.#keys = keys;
  }

  /** Takes the hello, then the proof. Undefined when the dialler is to be turned away. */
  handle(text: string): { readonly reply: string } | Admitted | undefined {
    return this.#challenge ? this.#admit(text, this.#challenge) : this.#welcome(text);
  }

  #welcome(text: string): { readonly reply: string } | undefined {
    const hello = decode(doorHello, text);
    if (!hello || hello.nodeId === this.#self.nodeId) return undefined;
    const shared = this.#keys.door.accepted.find(({ id }) => hello.keyIds.includes(id));
    if (!shared) return undefined;
    const { nodeId, incarnation } = this.#self;
    const welcome: Welcome = { version: DOOR_VERSION, nodeId, incarnation, nonce: randomText(NONCE_CHARACTERS), keyId: shared.id };
    const said = transcript(hello, welcome);
    this.#challenge = { hello, key: shared.key, said };
    return { reply: JSON.stringify({ ...welcome, proof: prove(shared.key, 'listener proof', said) }) };
  }

  #admit(text: string, { hello, key, said }: Challenge): Admitted | undefined {
    const message = decode(doorProof, text);
    if (!message || !proves(message.proof, key, 'dialler proof', said)) return undefined;
    return {
      peer: { nodeId: hello.nodeId, incarnation: hello.incarnation },
      channel: new DoorChannel(channelKey(key, 'listener to dialler', said), channelKey(key, 'dialler to listener', said)),
    };
  }
}

/** Everything both sides said, in one unambiguous text. */
function transcript(hello: DoorHello, welcome: Welcome): string {
  const { version, nodeId, incarnation, nonce, keyId } = welcome;
  return JSON.stringify([
    [hello.version, hello.nodeId, hello.incarnation, hello.nonce, hello.keyIds],
    [version, nodeId, incarnation, nonce, keyId],
  ]);
}

function mac(key: KeyObject, label: Label, said: string): Buffer {
  return createHmac('sha256', key).update(`${label}\n${said}`).digest();
}

function prove(key: KeyObject, label: Label, said: string): string {
  return mac(key, label, said).toString('base64url');
}

function proves(proof: string, key: KeyObject, label: Label, said: string): boolean {
  const given = Buffer.from(proof, 'base64url');
  const right = mac(key, label, said);
  return given.length === right.length && timingSafeEqual(given, right);
}

function channelKey(key: KeyObject, label: Label, said: string): Buffer {
  return mac(key, label, said).subarray(0, CHANNEL_KEY_BYTES);
}
