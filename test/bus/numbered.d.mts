export declare function numberedBytes(number: number): number
export declare function fillNumbered(view: DataView, offset: number, bytes: number, number: number): void
export declare function readNumbered(view: DataView, offset: number, bytes: number): number
