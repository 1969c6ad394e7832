import { describe, expect, it } from 'vitest';
import { bindUdp } from '../../../src/base/udp.ts';

describe('a UDP socket', () => {
  it('counts ports that are none instead of throwing: they come from what peers write', async () => {
    const socket = await bindUdp({ address: '127.0.0.1', port: 0 });
    for (const port of [0, -1, 65_536, Number.NaN]) socket.send(Buffer.from('x'), { address: '127.0.0.1', port });
    expect(socket.sendErrors).toBe(4);
    socket.close();
    socket.send(Buffer.from('x'), { address: '127.0.0.1', port: 9 });
  });
});
