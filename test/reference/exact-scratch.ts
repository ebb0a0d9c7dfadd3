import { Scratch } from '../../src/protocol/snappy.ts';

/** A scratch buffer with not one byte more than was asked for: whoever asks for too little is found out. */
export class ExactScratch extends Scratch {
  override ensure(size: number): void {
    this.bytes = new Uint8Array(size).fill(0xee);
    this.view = new DataView(this.bytes.buffer);
  }
}
