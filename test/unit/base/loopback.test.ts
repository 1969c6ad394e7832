import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../src/base/addresses.ts';
import { Loopback } from '../../../src/base/loopback.ts';
import type { DatagramSocket } from '../../../src/base/udp.ts';

/** A socket that notes what would go to the kernel. */
function socketAt(address: string, port: number) {
  const toKernel: { text: string; to: Endpoint }[] = [];
  let closed = 0;
  const socket: DatagramSocket = {
    local: { address, port },
    sendErrors: 0,
    onDatagram: undefined,
    send: (datagram, to) => toKernel.push({ text: Buffer.from(datagram).toString(), to }),
    close: () => {
      closed += 1;
    },
  };
  return { socket, toKernel, closings: () => closed };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function pair(addressA = '127.0.0.1', addressB = '127.0.0.1') {
  const loopback = new Loopback(['127.0.0.1', '192.0.2.7']);
  const a = socketAt(addressA, 1111);
  const b = socketAt(addressB, 2222);
  const joinedA = loopback.join(a.socket);
  const joinedB = loopback.join(b.socket);
  const heard: { text: string; from: Endpoint }[] = [];
  joinedB.onDatagram = (datagram, from) => heard.push({ text: datagram.toString(), from });
  return { loopback, a, b, joinedA, joinedB, heard };
}

describe('the short way between sockets of one process', () => {
  it('hands a datagram over later, never within the send, and not to the kernel', async () => {
    const { a, joinedA, joinedB, heard } = pair();
    joinedA.send(Buffer.from('hello'), joinedB.local);
    expect(heard).toEqual([]);
    await turn();
    expect(heard).toEqual([{ text: 'hello', from: { address: '127.0.0.1', port: 1111 } }]);
    expect(a.toKernel).toEqual([]);
  });

  it('leaves everybody else to the kernel, both ways', async () => {
    const { a, b, joinedA, heard } = pair();
    joinedA.send(Buffer.from('out'), { address: '127.0.0.1', port: 3333 });
    joinedA.send(Buffer.from('elsewhere'), { address: '198.51.100.1', port: 2222 });
    b.socket.onDatagram?.(Buffer.from('in'), { address: '203.0.113.9', port: 9 });
    await turn();
    expect(a.toKernel.map(({ text }) => text)).toEqual(['out', 'elsewhere']);
    expect(heard).toEqual([{ text: 'in', from: { address: '203.0.113.9', port: 9 } }]);
  });

  it('reaches a socket of all addresses at those of this machine alone, and answers from the address that was asked', async () => {
    const { a, joinedA, joinedB, heard } = pair('0.0.0.0', '0.0.0.0');
    const back: Endpoint[] = [];
    joinedA.onDatagram = (_datagram, from) => back.push(from);
    joinedA.send(Buffer.from('own'), { address: '192.0.2.7', port: 2222 });
    joinedA.send(Buffer.from('public'), { address: '203.0.113.1', port: 2222 });
    await turn();
    expect(heard).toEqual([{ text: 'own', from: { address: '192.0.2.7', port: 1111 } }]);
    expect(a.toKernel.map(({ text }) => text)).toEqual(['public']);
    joinedB.send(Buffer.from('back'), heard[0]?.from as Endpoint);
    await turn();
    expect(back).toEqual([{ address: '192.0.2.7', port: 2222 }]);
  });

  it('gives the receiver a buffer of its own', async () => {
    const { joinedA, joinedB, heard } = pair();
    const bytes = Buffer.from('first');
    joinedA.send(bytes, joinedB.local);
    bytes.write('other');
    await turn();
    expect(heard.map(({ text }) => text)).toEqual(['first']);
  });

  it('delivers what is sent meanwhile in the next turn', async () => {
    const { joinedA, joinedB } = pair();
    let rallies = 0;
    const rally = (self: DatagramSocket) => (datagram: Buffer, from: Endpoint) => {
      rallies += 1;
      self.send(datagram, from);
    };
    joinedA.onDatagram = rally(joinedA);
    joinedB.onDatagram = rally(joinedB);
    joinedA.send(Buffer.from('ball'), joinedB.local);
    await turn();
    await turn();
    expect(rallies).toBeLessThanOrEqual(3);
    joinedA.close();
  });

  it('loses what is too much for one turn, and counts it', async () => {
    const { loopback, joinedA, joinedB, heard } = pair();
    for (let n = 0; n < 5000; n++) joinedA.send(Buffer.from('x'), joinedB.local);
    await turn();
    expect(heard).toHaveLength(4096);
    expect(loopback.lost).toBe(904);
  });

  it('delivers nothing to a socket that was closed meanwhile, and lets its port be joined again', async () => {
    const { loopback, b, joinedA, joinedB, heard } = pair();
    joinedA.send(Buffer.from('late'), joinedB.local);
    joinedB.close();
    joinedB.close();
    await turn();
    expect(heard).toEqual([]);
    expect(b.closings()).toBe(1);
    const again = socketAt('127.0.0.1', 2222);
    expect(loopback.join(again.socket)).not.toBe(again.socket);
  });
});
