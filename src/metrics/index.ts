/**
 * Measures for OpenTelemetry: what was refused and why, and how the limits follow the load.
 */
export { type MetricsOptions, type MetricsRecorder, recordMetrics } from "./record-metrics.js";
