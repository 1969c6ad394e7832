import { describe, expect, it } from 'vitest';
import { deriveDoorKeys, parseClusterKeys, randomClusterKeys } from '../../../src/ownership/cluster-keys.ts';
import { type Admitted, DialHandshake, ListenHandshake } from '../../../src/ownership/door-handshake.ts';

const keys = deriveDoorKeys(randomClusterKeys());
const dialler = { nodeId: 1, incarnation: 11 };
const listener = { nodeId: 2, incarnation: 22 };

function shake(dial: DialHandshake, listen: ListenHandshake): { dialled: Admitted | undefined; listened: Admitted | undefined } {
  const welcome = listen.handle(dial.hello());
  const dialled = welcome && 'reply' in welcome ? dial.handle(welcome.reply) : undefined;
  const listened = dialled ? listen.handle(dialled.reply) : undefined;
  return { dialled, listened: listened && 'peer' in listened ? listened : undefined };
}

describe('the handshake at the node door', () => {
  it('tells both sides who the other is, and joins them by a channel', () => {
    const { dialled, listened } = shake(new DialHandshake(dialler, 2, keys), new ListenHandshake(listener, keys));
    expect(dialled?.peer).toEqual(listener);
    expect(listened?.peer).toEqual(dialler);
    const up = dialled?.channel.seal('hello') ?? Buffer.alloc(0);
    expect(up.toString('latin1')).not.toContain('hello');
    expect(listened?.channel.open(up)).toBe('hello');
    expect(dialled?.channel.open(listened?.channel.seal('välkommen') ?? Buffer.alloc(0))).toBe('välkommen');
  });

  it('does not join strangers', () => {
    const stranger = deriveDoorKeys(randomClusterKeys());
    expect(shake(new DialHandshake(dialler, 2, stranger), new ListenHandshake(listener, keys))).toEqual({});
  });

  it('joins nodes that share one of two keys', () => {
    const secret = (fill: number) => Buffer.alloc(32, fill).toString('base64');
    const of = (...lines: string[]) => deriveDoorKeys(parseClusterKeys(lines.join('\n')));
    const old = of(`1:${secret(1)}`);
    const both = of(`2:${secret(2)}`, `1:${secret(1)}`);
    expect(shake(new DialHandshake(dialler, 2, old), new ListenHandshake(listener, both)).listened).toBeDefined();
    expect(shake(new DialHandshake(dialler, 2, both), new ListenHandshake(listener, old)).listened).toBeDefined();
    expect(shake(new DialHandshake(dialler, 2, of(`2:${secret(2)}`)), new ListenHandshake(listener, old)).listened).toBeUndefined();
  });

  it('reaches the wanted node or none', () => {
    expect(shake(new DialHandshake(dialler, 3, keys), new ListenHandshake(listener, keys)).dialled).toBeUndefined();
  });

  it('does not let a node talk to itself', () => {
    expect(shake(new DialHandshake(dialler, 1, keys), new ListenHandshake(dialler, keys)).dialled).toBeUndefined();
  });

  it('gives a recorded dialler nothing', () => {
    const dial = new DialHandshake(dialler, 2, keys);
    const first = new ListenHandshake(listener, keys);
    const welcome = first.handle(dial.hello());
    const proof = welcome && 'reply' in welcome ? dial.handle(welcome.reply)?.reply : undefined;
    const second = new ListenHandshake(listener, keys);
    expect(second.handle(dial.hello())).toHaveProperty('reply');
    expect(second.handle(proof ?? '')).toBeUndefined();
  });

  it('gives a recorded listener nothing', () => {
    const recorded = new ListenHandshake(listener, keys).handle(new DialHandshake(dialler, 2, keys).hello());
    const reply = recorded && 'reply' in recorded ? recorded.reply : '';
    expect(new DialHandshake(dialler, 2, keys).handle(reply)).toBeUndefined();
  });

  it("does not take a listener's proof for a dialler's", () => {
    const listen = new ListenHandshake(listener, keys);
    const welcome = listen.handle(new DialHandshake(dialler, 2, keys).hello());
    const proof = welcome && 'reply' in welcome ? JSON.parse(welcome.reply).proof : '';
    expect(listen.handle(JSON.stringify({ proof }))).toBeUndefined();
  });

  it.each(['', '{}', '[]', 'null', '{"version":2}', '{"__proto__":{}}', 'x'.repeat(100_000)])('turns %.20s away', (text) => {
    expect(new ListenHandshake(listener, keys).handle(text)).toBeUndefined();
    expect(new DialHandshake(dialler, 2, keys).handle(text)).toBeUndefined();
  });
});

describe('the channel of a connection', () => {
  const pair = () => shake(new DialHandshake(dialler, 2, keys), new ListenHandshake(listener, keys));

  it.each(['repeated', 'left out', 'changed', 'thrown back', 'cut'])('does not open a message that is %s', (how) => {
    const { dialled, listened } = pair();
    if (!dialled || !listened) throw new Error('no handshake');
    const [a, b] = [dialled.channel.seal('a'), dialled.channel.seal('b')];
    const tampered = Buffer.from(a);
    tampered[0] = (tampered[0] ?? 0) ^ 1;
    if (how === 'repeated') {
      expect(listened.channel.open(a)).toBe('a');
      expect(listened.channel.open(a)).toBeUndefined();
    } else if (how === 'left out') expect(listened.channel.open(b)).toBeUndefined();
    else if (how === 'changed') expect(listened.channel.open(tampered)).toBeUndefined();
    else if (how === 'thrown back') expect(dialled.channel.open(a)).toBeUndefined();
    else for (let length = 0; length < a.length; length += 1) expect(listened.channel.open(a.subarray(0, length))).toBeUndefined();
  });

  it('is another one for each connection', () => {
    const [first, second] = [pair(), pair()];
    expect(second.listened?.channel.open(first.dialled?.channel.seal('a') ?? Buffer.alloc(0))).toBeUndefined();
  });
});
