/** Stands in for the walk through LMDB's pages: the simulated environments have none. */
export function walkPages(): { readonly wrong: undefined } {
  return { wrong: undefined }
}
