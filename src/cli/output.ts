import { once } from 'node:events';

/** Lines on standard output, no faster than they are read; `closed` when nobody reads any more (`| head`). */
export class Output {
  closed = false;

  constructor() {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      this.closed = true;
    });
  }

  async line(text: string): Promise<void> {
    if (this.closed || process.stdout.write(`${text}\n`)) return;
    await once(process.stdout, 'drain').catch((error: unknown) => {
      if (!this.closed) throw error;
    });
  }
}
