/** Express 4 under a name of its own, beside Express 5. What the tests use of it has the same types. */
declare module "express4" {
  import express from "express";
  export default express;
}
