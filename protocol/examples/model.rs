//! The model test.
#[path = "model/mod.rs"]
mod model;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let count: u64 = args[1].parse().unwrap();
    let base: u64 = args[2].parse().unwrap();
    let started = std::time::Instant::now();
    std::panic::set_hook(Box::new(|_| {}));
    if args.len() > 3 {
        let report = model::schedule(base, model::Run { trace: true, ..model::Run::plain() });
        println!("{}\n{:?}", report.trace.join("\n"), report.broken);
        return;
    }
    let mut bad = 0;
    let mut steps = 0;
    for index in 0..count {
        if std::env::var("V").is_ok() { eprintln!("{index} {}", model::seed_of(base, index)); }
        let report = model::schedule(model::seed_of(base, index), model::Run::plain());
        steps += report.steps;
        if let Some(why) = report.broken {
            bad += 1;
            if bad < 15 {
                println!("{index} {} {:?} {} {why}", report.seed, report.role, report.steps);
            }
        }
    }
    println!("{bad} of {count}, {steps} steps, {:?}", started.elapsed());
}
